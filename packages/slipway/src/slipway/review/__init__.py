"""Say what a change does to data, permissions and protection, from two assemblies."""
