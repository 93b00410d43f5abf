"""The bundled model's data, training, evaluation and export; not part of the installed package."""
