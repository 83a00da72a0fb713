"""Who uses the service: one persona a file, each a locust user over `ServiceUser`."""
