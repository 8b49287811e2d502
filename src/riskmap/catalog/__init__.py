"""What a layer is (spec) and which layers there are (registry)."""
