"""Human labels, and how well the people who made them agree."""
