"""A page that shows what several processes do together: for development and demonstrations."""
