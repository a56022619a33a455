"""Volume files on disk, opened without reading them whole, and crops from them."""
