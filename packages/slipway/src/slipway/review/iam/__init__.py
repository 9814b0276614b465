"""Compare the policies of two assemblies as sets of permissions."""
