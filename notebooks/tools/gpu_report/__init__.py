"""What the course does on a GPU, measured in ten minutes: correctness, speed, training, several processes.

python notebooks/tools/gpu_report --out DIR [--device cuda|mps|cpu] [--quick] [--only PART …]
"""
