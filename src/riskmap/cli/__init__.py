"""The command line: thin files over the functions that the API calls too."""
