"""Add a service to the app, or remove one: its folder, its line in `app.py`, its table in every environment's file."""
