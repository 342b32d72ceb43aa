import Foundation
import Kernels

/// Where kernel sources come from: the binary, or a directory that is being worked on.
enum KernelSource {
  /// Directory that overrides the embedded sources, from `SEMG_KERNELS`.
  static var directory: String? {
    ProcessInfo.processInfo.environment["SEMG_KERNELS"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Options of every build, from `SEMG_OPENCL_BUILD_OPTIONS`: for tools that judge kernels.
  static var extraOptions: String? {
    ProcessInfo.processInfo.environment["SEMG_OPENCL_BUILD_OPTIONS"]
  }

  static var leavesOutCLBlast: Bool {
    ProcessInfo.processInfo.environment["SEMG_OPENCL_WITHOUT_CLBLAST"] == "1"
  }

  /// Text of kernel files, one after another, with the files that they include put in their places,
  /// each once; nil where one of them is missing. What a file defines for itself does not reach the
  /// next.
  ///
  /// - Parameter options: names that the build defines: those stay.
  static func text(of files: [String], options: Set<String> = []) -> String? {
    var included: Set<String> = []
    var result: [String] = []
    for file in files {
      guard let text = expanded(file, &included) else { return nil }
      result.append(text)
      guard files.count > 1, let own = read(file) else { continue }
      // A file that is included by several says once how large groups are.
      let kept = options.union(["GROUP_ITEMS"])
      result += macros(of: own).subtracting(kept).sorted().map { "#undef \($0)" }
    }
    return result.joined(separator: "\n")
  }

  static func text(of file: String) -> String? { text(of: [file]) }

  /// Names that a file's own lines define.
  private static func macros(of text: String) -> Set<String> {
    let prefix = "#define "
    return Set(
      text.split(separator: "\n").filter { $0.hasPrefix(prefix) }.map {
        String($0.dropFirst(prefix.count).prefix { $0 == "_" || $0.isLetter || $0.isNumber })
      })
  }

  private static func expanded(_ file: String, _ included: inout Set<String>) -> String? {
    guard included.insert(file).inserted else { return "" }
    guard let text = read(file) else { return nil }
    var result: [Substring] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      guard line.hasPrefix("#include \""), line.hasSuffix(".cl\"") else {
        result.append(line)
        continue
      }
      let name = line.dropFirst("#include \"".count).dropLast(".cl\"".count)
      guard let inner = expanded(String(name), &included) else { return nil }
      result.append(Substring(inner))
    }
    return result.joined(separator: "\n")
  }

  private static func read(_ file: String) -> String? {
    guard let directory else { return Kernels.source(of: file) }
    return try? String(contentsOfFile: "\(directory)/\(file).cl", encoding: .utf8)
  }
}
