import ArgumentParser
import ComputeCPU
import Foundation

struct DevicesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices",
    abstract: "List every device, what it can do, and which one auto and gpu take.")

  @Option(
    help: .init("Threads. (default: one a core)", valueName: "number"),
    transform: OptionValue.number(1...1024))
  var threads: Int?
  @OptionGroup(title: "Output") var output: OutputOptions

  /// A line of the list; the names are those of the JSON.
  private struct Line: Encodable {
    let index: Int
    let name: String
    let type: String
    let platform: String
    let driver: String
    let memoryBytes: UInt64
    let fp16: Bool
    let tensorCores: Bool
    let chosenBy: [String]

    enum CodingKeys: String, CodingKey {
      case index, name, type, platform, driver, fp16
      case memoryBytes = "memory_bytes"
      case tensorCores = "tensor_cores"
      case chosenBy = "chosen_by"
    }
  }

  func run() throws {
    let console = output.console
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let lines = [
      Line(
        index: 0, name: CPUDevice(threads: threads).name, type: "cpu", platform: "oneDNN",
        driver: Version.oneDNN, memoryBytes: ProcessInfo.processInfo.physicalMemory, fp16: false,
        tensorCores: false, chosenBy: ["auto"])
    ]
    guard !output.json else { return try console.result(json: lines) }
    var table = TextTable(header: ["device", "type", "memory", "fp16", "tensor cores", "taken by"])
    for line in lines {
      table.append([
        line.name, line.type, Figure.bytes(Int(clamping: line.memoryBytes)),
        line.fp16 ? "yes" : "no", line.tensorCores ? "yes" : "no",
        line.chosenBy.joined(separator: ", "),
      ])
    }
    try console.result(table.text)
    console.note("OpenCL devices are not listed: this build has no OpenCL backend yet.")
  }
}
