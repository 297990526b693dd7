"""Policies over real image models: diffusers pipelines, and BAGEL's own code."""

import logging

# Without torchvision transformers scales images with PIL, which is what the pipelines do as well, and says so
# at every start.
logging.getLogger("transformers.utils.import_utils").addFilter(
    lambda record: "requires torchvision" not in record.getMessage()
)
