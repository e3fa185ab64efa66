"""``python -m resnet_lesson.tools.bench``."""

from resnet_lesson.tools.bench.command import main

main()
