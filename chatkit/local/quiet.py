"""Annexe: no library tells its maker anything. In: nothing. Out: the variables that forbid it.

They count when a library is loaded, so a child gets them in its environment, and a process that loads one of these
libraries sets them before it does, whoever started it. onnxruntime from 1.29 on, by which faster-whisper finds where
somebody speaks, would else write an id for good into the user's cache and look its maker's collector up at each start
(its Privacy.md, "Disabling Telemetry").
"""

VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}
