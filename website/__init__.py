"""The kit as static pages: `make site`, or `python -m website FOLDER`.

Pages are made from what is committed; no notebook is run. They work from a file address, without a
network and without a server.
"""
