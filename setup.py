"""What setup.cfg cannot say: the wheel holds `configs/` and the scripts of `export/`, too."""

import glob
import os
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

# Folder -> pattern; tfmaskrcnn/support/shipped.py finds them in the package, or in a clone.
SHIPPED = {"configs": "*.yaml", "export": "*.py"}


class BuildWithShipped(build_py):
    """Copies them into the package that is built; an editable install reads the clone's."""

    def run(self):
        """Build as ever, then copy."""
        super().run()
        if getattr(self, "editable_mode", False):
            return
        for folder, pattern in SHIPPED.items():
            target = os.path.join(self.build_lib, "tfmaskrcnn", "shipped", folder)
            os.makedirs(target, exist_ok=True)
            for path in glob.glob(os.path.join(folder, pattern)):
                shutil.copy2(path, target)


setup(cmdclass={"build_py": BuildWithShipped})
