"""Publish predictions to ROS 2: `python3 ros2_node.py BUNDLE`, where rclpy is sourced.

Each message of the topic `sensemble` is JSON: the label (null if unsure), the confidence and the live set.
"""

import json
import sys

import rclpy
from rclpy.node import Node
from sensemble_runtime import Bundle, Prediction, Session
from sensemble_sensors import Camera, Isolated, Microphone
from std_msgs.msg import String


def main(path: str) -> None:
    """Publish until the process is stopped."""
    rclpy.init()
    node = Node("sensemble")
    publisher = node.create_publisher(String, "sensemble", 10)
    with Session(Bundle.open(path)) as session:
        session.attach(Isolated(Camera, "0"))
        session.attach(Isolated(Microphone, "default"))
        for item in session.stream():
            if not rclpy.ok():
                break
            if isinstance(item, Prediction):
                shown = {"label": item.label, "confidence": item.confidence, "live": item.live}
                publisher.publish(String(data=json.dumps(shown)))
            else:
                node.get_logger().info(str(item))


if __name__ == "__main__":
    main(sys.argv[1])
