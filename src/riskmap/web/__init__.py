"""The map page: its built files (npm, `make web`) and the HTML around them."""
