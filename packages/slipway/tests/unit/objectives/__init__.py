"""Objectives: burn rates, budgets, and what is foreseen of them."""
