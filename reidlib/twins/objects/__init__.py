"""Procedural shoes and chairs: records of factors, their surfaces, photos and sketches of them."""
