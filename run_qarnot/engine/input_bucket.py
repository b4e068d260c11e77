"""The input bucket of a session, filled by this process or directly by a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from run_qarnot.cloud.s3.browser_upload import DirectUpload
from run_qarnot.engine.client import AsyncStorage
from run_qarnot.engine.preparation import upload
from run_qarnot.engine.session_state import Tell
from run_qarnot.engine.web_input import bring, check_names, look
from run_qarnot.model.files import Upload
from run_qarnot.model.web_file import WebFile

__all__ = ["DirectUpload", "InputBucket"]


@dataclass(frozen=True)
class InputBucket:
    """The input bucket of a session. All methods raise `RunQarnotError` if the storage fails or refuses."""

    storage: AsyncStorage
    bucket: str
    is_own: bool  # created for this session; the CORS rules of other buckets are not changed

    async def add(
        self,
        uploads: Sequence[Upload],
        direct: Sequence[DirectUpload],
        web: Sequence[WebFile],
        tell: Tell,
        *,
        replace: bool,
    ) -> set[str]:
        """Upload files of this computer, bring those of the web, and complete those that a browser has sent.

        Returns:
            The names of all.
        """
        others = {each.key for each in uploads} | {each.key for each in direct}
        check_names(web, others)
        web = await look(web)
        await upload(self.storage, self.bucket, uploads, tell, replace=replace)
        await bring(self.storage, self.bucket, web, tell, replace_there=replace)
        if direct:
            await self.storage.complete(self.bucket, direct, replace=replace)
        return others | {each.key for each in web}

    async def begin(self, key: str, size: int, origin: str) -> DirectUpload:
        """Begin the upload of a file, or continue an interrupted one.

        Arguments:
            size: in bytes, at least `files.LARGE_BYTES`.
            origin: of the page that will send it; the session's own bucket is set to accept it (CORS).
        """
        if self.is_own:
            await self.storage.allow_origin(self.bucket, origin)
        return await self.storage.direct(self.bucket, key, size)

    async def unfinished(self) -> list[str]:
        """Return the keys of files whose upload was begun, by any program, and is not complete."""
        return await self.storage.unfinished(self.bucket)

    async def forget(self, key: str) -> None:
        """Delete the parts of an unfinished file."""
        await self.storage.forget_unfinished(self.bucket, key)
