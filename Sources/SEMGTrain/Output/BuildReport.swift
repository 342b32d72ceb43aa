import ComputeOpenCL

/// What building OpenCL programs cost: text, and the JSON of `devices` and `benchmark`.
struct BuildReport: Encodable {
  struct Program: Encodable {
    let files: [String]
    let options: String
    let seconds: Double
    let isFromCache: Bool

    enum CodingKeys: String, CodingKey {
      case files, options, seconds
      case isFromCache = "from_cache"
    }
  }

  /// The slowest first.
  let programs: [Program]
  let count: Int
  let countFromCache: Int
  /// Of all programs.
  let seconds: Double
  /// Of the kernels' first runs, in which some platforms compile.
  let firstRunSeconds: Double

  enum CodingKeys: String, CodingKey {
    case programs, count, seconds
    case countFromCache = "count_from_cache"
    case firstRunSeconds = "first_run_seconds"
  }

  init(_ builds: ProgramBuilds) {
    programs = builds.programs.map {
      Program(
        files: $0.files, options: $0.options, seconds: $0.seconds, isFromCache: $0.isFromCache)
    }
    count = programs.count
    countFromCache = programs.count { $0.isFromCache }
    (seconds, firstRunSeconds) = (builds.seconds, builds.firstRunSeconds)
  }

  /// "12 programs built in 1.92 s, 3 of them from the cache; first runs of their kernels 0.40 s".
  var sentence: String {
    let cached = countFromCache > 0 ? ", \(countFromCache) of them from the cache" : ""
    return "\(Figure.count(count, "program")) built in \(Figure.fixed(seconds, 2)) s\(cached); "
      + "first runs of their kernels \(Figure.fixed(firstRunSeconds, 2)) s"
  }

  /// Labels and values: the sum, then each program.
  var rows: [(String, String)] {
    [("programs", sentence)]
      + programs.map {
        ("", "\(Figure.fixed($0.seconds, 2)) s  \($0.files.joined(separator: " ")) \($0.options)")
      }
  }
}
