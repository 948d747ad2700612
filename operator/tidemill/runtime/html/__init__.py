"""HTML pages: the frame, and pictures in SVG."""
