"""The process itself: threads, priority, memory and the allocator."""
