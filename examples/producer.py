"""
A producer: puts prompts into the queue, and waits until each has its image. It needs pymongo: pip install pymongo

Usage: MONGO_URI=mongodb://db.example/app python3 examples/producer.py "a red fox" "a blue boat"
Each job is one line of JSON on standard output. PROMPT_OPTIONS may hold more fields as JSON: {"width": 512, "height": 512, "num_inference_steps": 30}
"""

import json
import os
import sys
import time

from pymongo import MongoClient, WriteConcern

if "MONGO_URI" not in os.environ or len(sys.argv) < 2:
    sys.exit('usage: MONGO_URI=… python3 examples/producer.py "PROMPT"…')

fields = json.loads(os.environ.get("PROMPT_OPTIONS", "{}"))
with MongoClient(os.environ["MONGO_URI"]) as client:
    # "majority": what the server has confirmed survives an election.
    database = client.get_default_database()
    prompts = database.get_collection("prompts", write_concern=WriteConcern("majority"))
    inserted = prompts.insert_many([{"text": text, "status": "pending", **fields} for text in sys.argv[1:]])

    waiting = set(inserted.inserted_ids)
    while waiting:
        time.sleep(0.5)
        for job in prompts.find({"_id": {"$in": list(waiting)}, "status": {"$in": ["completed", "error"]}}):
            line = {
                "id": str(job["_id"]),
                "text": job["text"],
                "status": job["status"],
                "imageUrl": job.get("image_url"),
                "error": job.get("error"),
            }
            print(json.dumps(line), flush=True)
            waiting.remove(job["_id"])
