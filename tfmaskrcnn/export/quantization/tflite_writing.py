"""A TFLite model as the bytes of a file.

ai-edge-quantizer puts large constants behind the FlatBuffer, where runtimes of before 2024 do not
look, at places counted from the file's beginning. Here they are in it, each where kernels want it.
"""

import numpy as np

_ALIGNED = 16  # bytes: TFLite's schema demands it of constants, Python's FlatBuffers do not


def as_bytes(model) -> bytes:
    """The file of LiteRT's `ModelT`, whose constants' `data` are arrays or views of bytes."""
    from ai_edge_litert import schema_py_generated as schema  # of the extra
    from ai_edge_litert.tools import flatbuffer_utils as files

    class Buffer(schema.BufferT):
        """A constant that knows its place."""

        def Pack(self, builder):  # noqa: N802, as the schema calls it
            if self.data is None:
                return super().Pack(builder)
            content = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), _ALIGNED)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            builder.vectorNumElems = len(content)
            place = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, place)
            return schema.BufferEnd(builder)

    model.buffers = [Buffer(buffer.data) for buffer in model.buffers]
    return bytes(files.convert_object_to_bytearray(model))
