"""What every service has: its landing page, health, version."""
