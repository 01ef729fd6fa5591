# Triton with TensorFlow in its Python, for `python -m tfmaskrcnn.serving.triton --backend python`.
ARG TRITON_VERSION=25.02-py3
FROM nvcr.io/nvidia/tritonserver:${TRITON_VERSION}
# "tensorflow-cpu==2.21.*", "tensorflow[and-cuda]": not older than the one that exported.
ARG TENSORFLOW=tensorflow-cpu
RUN pip install --no-cache-dir "${TENSORFLOW}"
