"""Review the effects of a change on data, permissions and protection, from two assemblies."""
