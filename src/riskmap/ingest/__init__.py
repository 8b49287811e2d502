"""Files into layers: readers, checks, one transaction, a report."""
