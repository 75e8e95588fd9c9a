"""What `docs/draw.py` is made of: facts read from the code, tables and a picture made of them."""
