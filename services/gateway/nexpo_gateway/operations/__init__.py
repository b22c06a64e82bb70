"""Operations: the same on every engine, read and followed the same way on every surface."""
