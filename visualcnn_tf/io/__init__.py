"""Untrusted bytes and files: decoding images, writing files at once or not at all."""
