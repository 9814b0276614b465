"""What stands between this checkout and a delivery: configuration, versions, assets, accounts; each with its mend."""
