"""Attack deployed services from outside, guided by their OpenAPI documents (DAST)."""
