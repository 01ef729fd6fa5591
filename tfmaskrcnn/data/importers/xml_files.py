"""XML that others wrote, as a tree."""

from xml.etree import ElementTree
from xml.parsers import expat

from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.errors import InputError


def read_xml(path: str) -> ElementTree.Element:
    """The tree of an XML file of any encoding that has one byte a character, UTF-8 or UTF-16.

    One with a DOCTYPE is refused, for entities can grow without end.

    Raises:
        InputError: it cannot be read, is no XML, has a DOCTYPE or another encoding.
    """

    def refuse(*_):
        raise InputError(f"{path} has a DOCTYPE, which is not read; CVAT writes none.")

    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        with open(path, "rb") as file:
            parser.ParseFile(file)
        return builder.close()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except expat.ExpatError as error:
        raise InputError(f"{path} is not valid XML: {error}.") from None
    except InputError:
        raise
    except (LookupError, ValueError, AssertionError) as error:  # of the encoding it declares
        raise InputError(
            f"{path} is XML that cannot be read ({shown(str(error))}); save it as UTF-8."
        ) from None
