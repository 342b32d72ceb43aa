import COpenCL
import Compute

/// Runs launches on a profiling queue of its own and tells how long each took on the device.
final class CommandStopwatch {
  private let queue: cl_command_queue
  private let device: String

  init(context: OpenCLContext) throws(DeviceError) {
    queue = try context.makeQueue(profiles: true)
    device = context.name
  }

  deinit {
    clFinish(queue)
    clReleaseCommandQueue(queue)
  }

  /// Runs all, waits, and returns the seconds of each command of each. A kernel's time is from its start to its
  /// end; of a library's call only the last kernel tells its times, so that counts from the end of
  /// what came before it.
  func run(
    _ launches: [OpenCLLaunch], step: Int, live: Int
  ) throws(DeviceError) -> [[Double]] {
    var events: [[cl_event]] = []
    defer { for event in events.joined() { clReleaseEvent(event) } }
    for launch in launches {
      events.append([])
      for command in launch.commands {
        var event: cl_event?
        try command.enqueue(on: queue, step: step, live: live, event: &event)
        if let event { events[events.count - 1].append(event) }
      }
    }
    try check(clFinish(queue), "clFinish", on: device)
    var result: [[Double]] = []
    var previousEnd: cl_ulong?
    for (launch, recorded) in zip(launches, events) {
      var seconds: [Double] = []
      for (command, event) in zip(launch.commands, recorded) {
        let end = try time(event, CL_PROFILING_COMMAND_END)
        var start = try time(event, CL_PROFILING_COMMAND_START)
        if case .library = command, let previousEnd { start = min(start, previousEnd) }
        seconds.append(end > start ? Double(end - start) * 1e-9 : 0)
        previousEnd = end
      }
      result.append(seconds)
    }
    return result
  }

  private func time(_ event: cl_event, _ question: Int32) throws(DeviceError) -> cl_ulong {
    var value: cl_ulong = 0
    try check(
      clGetEventProfilingInfo(
        event, cl_profiling_info(question), MemoryLayout<cl_ulong>.size, &value, nil),
      "clGetEventProfilingInfo", on: device)
    return value
  }
}
