"""What a serving pod tells about itself: metrics, load, label lag and CloudEvents."""
