"""Hugging Face's own client: downloads one file, and says what it learned of it. Arguments: repo, revision, file, folder."""

import json
import sys

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError

repo, revision, file, folder = sys.argv[1:]
try:
    path = hf_hub_download(repo, file, revision=revision, local_dir=folder)
except HfHubHTTPError as error:
    print(json.dumps({"error": type(error).__name__}))
    sys.exit()
metadata = get_hf_file_metadata(hf_hub_url(repo, file, revision=revision))
info = HfApi().model_info(repo, revision=revision, files_metadata=True)
digests = {each.rfilename: each.lfs.sha256 for each in info.siblings if each.lfs}
said = {"path": path, "commit": metadata.commit_hash, "etag": metadata.etag, "size": metadata.size}
print(json.dumps({**said, "apiCommit": info.sha, "apiSha256": digests.get(file)}))
