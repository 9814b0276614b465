"""Attack deployed services from outside, by what their OpenAPI documents promise (DAST)."""
