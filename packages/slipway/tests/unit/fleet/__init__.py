"""The page of every service in every environment."""
