"""Videos and their scenes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from whodex.cli.erasure import ReceiptOption, WaitOption, finish
from whodex.cli.formats import failure_reason, moment, offset, resource_id, size, state_of
from whodex.cli.output import (
    Output,
    OutputOption,
    merge_pages,
    print_error,
    print_json,
    print_line,
    print_table,
)
from whodex.cli.resources import video_name
from whodex.cli.session import connect
from whodex.cli.transfers import upload_file, wait_progress
from whodex.client import Client
from whodex.errors import InvalidArgumentError
from whodex.v1.video_pb2 import Appearance, Scene, Video
from whodex.v1.video_service_pb2 import GetVideoResponse, ListVideosResponse, UploadVideoResponse

app = typer.Typer(no_args_is_help=True, help="Videos and their scenes.")

VideoArgument = Annotated[str, typer.Argument(metavar="VIDEO", help="Id or resource name.")]
VIDEO_COLUMNS = ("Title", "State", "#Duration", "#Scenes", "Id")
SCENE_COLUMNS = ("#Scene", "#From", "#To", "#Appearances")
# A film of some hours, on a slow machine, behind others in the queue.
WAIT_SECONDS = 24 * 3600.0


@app.command()
def add(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    output: OutputOption = Output.TABLE,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until each video is READY or FAILED.")] = False,
) -> None:
    """Upload videos: MP4 with H.264."""
    with connect(context) as client:
        videos = [video for file in files if (video := _upload(client, file))]
        if wait:
            videos = [_wait(client, video) for video in videos]
    if output is Output.JSON:
        for video in videos:
            print_json(GetVideoResponse(video=video) if wait else UploadVideoResponse(video=video))
    elif videos:
        print_table(VIDEO_COLUMNS, map(_video_row, videos))
    failed = [video for video in videos if video.state == Video.STATE_FAILED]
    for video in failed:
        print_error(f"{video.file_name}: {video.failure.message}", failure_reason(video.failure))
    if len(videos) < len(files) or failed:
        raise typer.Exit(1)


@app.command("list")
def list_videos(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List videos, oldest first."""
    with connect(context) as client:
        response = merge_pages(client.videos.list().pages(), ListVideosResponse())
    if output is Output.JSON:
        print_json(response)
    elif response.videos:
        print_table(VIDEO_COLUMNS, map(_video_row, response.videos))
    else:
        print_line("No videos yet. `whodex video add FILE` uploads one.")


@app.command()
def show(context: typer.Context, video: VideoArgument, output: OutputOption = Output.TABLE) -> None:
    """Show a video and its scenes."""
    with connect(context) as client:
        found = client.videos.get(video_name(client, video))
        if output is Output.JSON:
            print_json(GetVideoResponse(video=found))
            return
        print_table(VIDEO_COLUMNS, [_video_row(found)])
        print_line(_details(found))
        if found.state == Video.STATE_FAILED:
            print_line(f"{found.failure.message} [{failure_reason(found.failure)}]")
        if found.scene_count:
            scenes, appearances = client.videos.list_scenes(found.name), client.videos.list_appearances(found.name)
            print_table(SCENE_COLUMNS, _scene_rows(scenes, appearances))


@app.command()
def delete(
    context: typer.Context,
    video: VideoArgument,
    output: OutputOption = Output.TABLE,
    *,
    wait: WaitOption = False,
    receipt: ReceiptOption = None,
) -> None:
    """Delete a video with its scenes and appearances."""
    with connect(context) as client:
        name = video_name(client, video)
        response = client.videos.delete(name)
        erasure = finish(client, response.erasure, receipt, wait=wait)
    if output is Output.JSON:
        print_json(response)
    else:
        print_line(f"Deleted {resource_id(name)}. {erasure}")


def _upload(client: Client, file: Path) -> Video | None:
    """None when the server refuses this file: the others are uploaded all the same."""
    try:
        return upload_file(client.library, file, lambda options: client.videos.upload(file, **options))
    except InvalidArgumentError as error:
        print_error(f"{file}: {error.message}", error.reason_name)
        return None


def _wait(client: Client, video: Video) -> Video:
    with wait_progress(video.display_name) as progress:
        return client.videos.wait_for_video(
            video.name,
            timeout_seconds=WAIT_SECONDS,
            on_change=lambda state: progress(round(100 * state.progress), 100),
        )


def _video_row(video: Video) -> tuple[str, ...]:
    processed = video.state == Video.STATE_READY
    state = f"{state_of(video)} {video.progress:.0%}" if video.state == Video.STATE_PROCESSING else state_of(video)
    return (
        video.display_name,
        state,
        offset(video.duration) if processed else "",
        str(video.scene_count) if processed else "",
        resource_id(video.name),
    )


def _details(video: Video) -> str:
    details = [f"uploaded {moment(video.create_time)}", size(video.size_bytes)]
    if video.width:
        details += [f"{video.width}x{video.height}", f"{video.frame_rate:g} frames/s"]
    return ", ".join(details)


def _scene_rows(scenes: Iterable[Scene], appearances: Iterable[Appearance]) -> Iterable[tuple[str, ...]]:
    count = Counter(appearance.scene for appearance in appearances)
    return (
        (
            str(scene.index),
            offset(scene.start_offset),
            offset(scene.end_offset),
            str(count[scene.name]),
        )
        for scene in scenes
    )
