"""Compare permissions: the policies of two assemblies as sets of permissions, and the gains and losses."""
