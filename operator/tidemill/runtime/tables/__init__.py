"""Tables: where rows come from, what they mean, which are held out, and what they must hold."""
