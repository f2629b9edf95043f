"""Stand-in data sets: real frames, hardly checked, as upstream does."""

import os

import yaml
from PIL import Image

DEFAULT_ROOT = "/home/hj/Train_Diffueraser/dataset"


def collate_fn(samples):
    return samples


class FinetuneDataset:
    caption = "clean background"

    def __init__(self, args):
        self.args = args
        self.clips = []
        for name, root in (("DAVIS", os.path.join(args.davis_root, "JPEGImages", "480p")),
                           ("YouTubeVOS", os.path.join(args.ytvos_root, "JPEGImages"))):
            if not os.path.isdir(root):
                print(f"{root} not found, skipping {name}")
                continue
            clips = [os.path.join(root, clip) for clip in sorted(os.listdir(root))]
            print(f"  {name}: {len(clips)} videos")
            self.clips += clips
        print(f"FinetuneDataset: total {len(self.clips)} videos")

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        clip = self.clips[index]
        for frame in sorted(os.listdir(clip))[: self.args.nframes]:
            Image.open(os.path.join(clip, frame)).load()
        return self.caption


class FinetuneDatasetWithCaption(FinetuneDataset):
    def __init__(self, args):
        super().__init__(args)
        with open(args.caption_yaml) as file:
            self.captions = yaml.safe_load(file)

    def __getitem__(self, index):
        super().__getitem__(index)
        return self.captions[os.path.basename(self.clips[index])]
