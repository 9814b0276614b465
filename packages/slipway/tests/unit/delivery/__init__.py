import tests.unit.services.environment  # noqa: F401 - the functions read it when they are imported
