"""What of metadata.json Keras needs.

    python look_in_keras.py ARCHIVE WITHOUT

Loads ARCHIVE and looks into it with Keras's editor; writes it to WITHOUT, without the version, and
does the same there: that is loaded, but the editor ends in a KeyError. Ends with 1 where any of it
comes out otherwise.
"""

import json
import os
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras  # noqa: E402

archive, without = sys.argv[1:]
with zipfile.ZipFile(archive) as source, zipfile.ZipFile(without, "w") as target:
    for name in source.namelist():
        content = source.read(name)
        if name == "metadata.json":
            metadata = json.loads(content)
            assert metadata["saved_by"].startswith("semg-train "), metadata
            assert "Keras did not save it" in metadata["keras_version_means"], metadata
            del metadata["keras_version"]
            content = json.dumps(metadata)
        target.writestr(name, content)

keras.models.load_model(archive)
keras.models.load_model(without)
keras.saving.KerasFileEditor(archive)
try:
    keras.saving.KerasFileEditor(without)
except KeyError as error:
    assert error.args == ("keras_version",), error
else:
    sys.exit("the editor needs no version any more: leave it out")
