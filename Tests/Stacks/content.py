"""Pictures of one colour and tones of one pitch, and how they are told apart after a lossy codec."""

import numpy

RATE = 48_000


def tone(frequency, start, samples):
    """16-bit mono samples from sample number `start` on, beating three times a second: a steady tone may count as
    background noise."""
    time = (numpy.arange(samples) + start) / RATE
    volume = 6000 * (1 + 0.8 * numpy.sin(2 * numpy.pi * 3 * time))
    return (volume * numpy.sin(2 * numpy.pi * frequency * time)).astype(numpy.int16)


def pitch(samples, rate=RATE):
    """The loudest frequency in Hz; 0 for silence."""
    samples = numpy.asarray(samples, dtype=numpy.float64)
    if len(samples) < rate // 4 or numpy.abs(samples).max() < 300:
        return 0
    spectrum = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples))))
    return float(numpy.argmax(spectrum) * rate / len(samples))


def i420(colour, width, height, step=0):
    """One picture as planar YUV (BT.601, limited range) with a white mark that moves along the lower edge."""
    r, g, b = colour
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    luma = numpy.full((height, width), round(y), dtype=numpy.uint8)
    at = (step * 8) % (width - 24)
    luma[height - 16:height - 4, at:at + 24] = 235
    chroma = numpy.empty((2, height // 2, width // 2), dtype=numpy.uint8)
    chroma[0], chroma[1] = round(u), round(v)
    return luma.tobytes() + chroma.tobytes()


def colour_of(y, u, v):
    """Mean RGB of planes cut from the middle of a picture."""
    y, u, v = (float(numpy.mean(plane)) for plane in (y, u, v))
    y, u, v = 1.164 * (y - 16), u - 128, v - 128
    return tuple(round(min(255, max(0, one))) for one in (y + 1.596 * v, y - 0.392 * u - 0.813 * v, y + 2.017 * u))


def middle(plane):
    height, width = plane.shape
    return plane[height // 4:height // 2, width // 4:width * 3 // 4]


def near(found, wanted, tolerance=30):
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted))
