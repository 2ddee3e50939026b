"""Speed, measured beside the rivals in one run and told as ratios; never a test that fails on a slow day."""
