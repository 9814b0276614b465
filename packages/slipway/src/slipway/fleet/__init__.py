"""The fleet: every service in every environment, on one page."""
