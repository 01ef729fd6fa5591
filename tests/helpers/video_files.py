"""Small video files, made by the ffmpeg of imageio-ffmpeg."""

import subprocess

import imageio_ffmpeg


def ffmpeg(*arguments):
    """Run ffmpeg with these arguments."""
    quiet = ["-hide_banner", "-nostdin", "-y", "-v", "error"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *quiet, *map(str, arguments)], check=True)


def lossless(path, frames, fps=10, *more):
    """Write [T, H, W, 3] uint8 frames so that they are read as they are; FFV1 in an MKV or AVI."""
    count, height, width, _ = frames.shape
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-y", "-v", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps)]
    command += ["-i", "pipe:0", *more, "-c:v", "ffv1", "-pix_fmt", "bgr0", str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)
    return str(path)
