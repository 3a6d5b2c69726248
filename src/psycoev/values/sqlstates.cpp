#include "values/sqlstates.h"

#include <cstring>
#include <string>
#include <string_view>

#include "values/error.h"

namespace psycoev::values {
namespace {

struct SqlState {
  const char* code;
  const char* class_name;
};

// PostgreSQL's documentation, "PostgreSQL Error Codes": errors alone, no warnings; the name of a
// class is the condition name in CamelCase. Sorted by code.
constexpr SqlState kSqlStates[] = {
    {"02000", "NoData"},
    {"02001", "NoAdditionalDynamicResultSetsReturned"},
    {"03000", "SqlStatementNotYetComplete"},
    {"08000", "ConnectionException"},
    {"08001", "SqlclientUnableToEstablishSqlconnection"},
    {"08003", "ConnectionDoesNotExist"},
    {"08004", "SqlserverRejectedEstablishmentOfSqlconnection"},
    {"08006", "ConnectionFailure"},
    {"08007", "TransactionResolutionUnknown"},
    {"08P01", "ProtocolViolation"},
    {"09000", "TriggeredActionException"},
    {"0A000", "FeatureNotSupported"},
    {"0B000", "InvalidTransactionInitiation"},
    {"0F000", "LocatorException"},
    {"0F001", "InvalidLocatorSpecification"},
    {"0L000", "InvalidGrantor"},
    {"0LP01", "InvalidGrantOperation"},
    {"0P000", "InvalidRoleSpecification"},
    {"0Z000", "DiagnosticsException"},
    {"0Z002", "StackedDiagnosticsAccessedWithoutActiveHandler"},
    {"10608", "InvalidArgumentForXquery"},
    {"20000", "CaseNotFound"},
    {"21000", "CardinalityViolation"},
    {"22000", "DataException"},
    {"22001", "StringDataRightTruncation"},
    {"22002", "NullValueNoIndicatorParameter"},
    {"22003", "NumericValueOutOfRange"},
    {"22004", "NullValueNotAllowed"},
    {"22005", "ErrorInAssignment"},
    {"22007", "InvalidDatetimeFormat"},
    {"22008", "DatetimeFieldOverflow"},
    {"22009", "InvalidTimeZoneDisplacementValue"},
    {"2200B", "EscapeCharacterConflict"},
    {"2200C", "InvalidUseOfEscapeCharacter"},
    {"2200D", "InvalidEscapeOctet"},
    {"2200F", "ZeroLengthCharacterString"},
    {"2200G", "MostSpecificTypeMismatch"},
    {"2200H", "SequenceGeneratorLimitExceeded"},
    {"2200L", "NotAnXmlDocument"},
    {"2200M", "InvalidXmlDocument"},
    {"2200N", "InvalidXmlContent"},
    {"2200S", "InvalidXmlComment"},
    {"2200T", "InvalidXmlProcessingInstruction"},
    {"22010", "InvalidIndicatorParameterValue"},
    {"22011", "SubstringError"},
    {"22012", "DivisionByZero"},
    {"22013", "InvalidPrecedingOrFollowingSize"},
    {"22014", "InvalidArgumentForNtileFunction"},
    {"22015", "IntervalFieldOverflow"},
    {"22016", "InvalidArgumentForNthValueFunction"},
    {"22018", "InvalidCharacterValueForCast"},
    {"22019", "InvalidEscapeCharacter"},
    {"2201B", "InvalidRegularExpression"},
    {"2201E", "InvalidArgumentForLogarithm"},
    {"2201F", "InvalidArgumentForPowerFunction"},
    {"2201G", "InvalidArgumentForWidthBucketFunction"},
    {"2201W", "InvalidRowCountInLimitClause"},
    {"2201X", "InvalidRowCountInResultOffsetClause"},
    {"22021", "CharacterNotInRepertoire"},
    {"22022", "IndicatorOverflow"},
    {"22023", "InvalidParameterValue"},
    {"22024", "UnterminatedCString"},
    {"22025", "InvalidEscapeSequence"},
    {"22026", "StringDataLengthMismatch"},
    {"22027", "TrimError"},
    {"2202E", "ArraySubscriptError"},
    {"2202G", "InvalidTablesampleRepeat"},
    {"2202H", "InvalidTablesampleArgument"},
    {"22030", "DuplicateJsonObjectKeyValue"},
    {"22031", "InvalidArgumentForSqlJsonDatetimeFunction"},
    {"22032", "InvalidJsonText"},
    {"22033", "InvalidSqlJsonSubscript"},
    {"22034", "MoreThanOneSqlJsonItem"},
    {"22035", "NoSqlJsonItem"},
    {"22036", "NonNumericSqlJsonItem"},
    {"22037", "NonUniqueKeysInAJsonObject"},
    {"22038", "SingletonSqlJsonItemRequired"},
    {"22039", "SqlJsonArrayNotFound"},
    {"2203A", "SqlJsonMemberNotFound"},
    {"2203B", "SqlJsonNumberNotFound"},
    {"2203C", "SqlJsonObjectNotFound"},
    {"2203D", "TooManyJsonArrayElements"},
    {"2203E", "TooManyJsonObjectMembers"},
    {"2203F", "SqlJsonScalarRequired"},
    {"2203G", "SqlJsonItemCannotBeCastToTargetType"},
    {"22P01", "FloatingPointException"},
    {"22P02", "InvalidTextRepresentation"},
    {"22P03", "InvalidBinaryRepresentation"},
    {"22P04", "BadCopyFileFormat"},
    {"22P05", "UntranslatableCharacter"},
    {"22P06", "NonstandardUseOfEscapeCharacter"},
    {"23000", "IntegrityConstraintViolation"},
    {"23001", "RestrictViolation"},
    {"23502", "NotNullViolation"},
    {"23503", "ForeignKeyViolation"},
    {"23505", "UniqueViolation"},
    {"23514", "CheckViolation"},
    {"23P01", "ExclusionViolation"},
    {"24000", "InvalidCursorState"},
    {"25000", "InvalidTransactionState"},
    {"25001", "ActiveSqlTransaction"},
    {"25002", "BranchTransactionAlreadyActive"},
    {"25003", "InappropriateAccessModeForBranchTransaction"},
    {"25004", "InappropriateIsolationLevelForBranchTransaction"},
    {"25005", "NoActiveSqlTransactionForBranchTransaction"},
    {"25006", "ReadOnlySqlTransaction"},
    {"25007", "SchemaAndDataStatementMixingNotSupported"},
    {"25008", "HeldCursorRequiresSameIsolationLevel"},
    {"25P01", "NoActiveSqlTransaction"},
    {"25P02", "InFailedSqlTransaction"},
    {"25P03", "IdleInTransactionSessionTimeout"},
    {"25P04", "TransactionTimeout"},
    {"26000", "InvalidSqlStatementName"},
    {"27000", "TriggeredDataChangeViolation"},
    {"28000", "InvalidAuthorizationSpecification"},
    {"28P01", "InvalidPassword"},
    {"2B000", "DependentPrivilegeDescriptorsStillExist"},
    {"2BP01", "DependentObjectsStillExist"},
    {"2D000", "InvalidTransactionTermination"},
    {"2F000", "SqlRoutineException"},
    {"2F002", "ModifyingSqlDataNotPermitted"},
    {"2F003", "ProhibitedSqlStatementAttempted"},
    {"2F004", "ReadingSqlDataNotPermitted"},
    {"2F005", "FunctionExecutedNoReturnStatement"},
    {"34000", "InvalidCursorName"},
    {"38000", "ExternalRoutineException"},
    {"38001", "ContainingSqlNotPermitted"},
    {"38002", "ModifyingSqlDataNotPermittedExt"},
    {"38003", "ProhibitedSqlStatementAttemptedExt"},
    {"38004", "ReadingSqlDataNotPermittedExt"},
    {"39000", "ExternalRoutineInvocationException"},
    {"39001", "InvalidSqlstateReturned"},
    {"39004", "NullValueNotAllowedExt"},
    {"39P01", "TriggerProtocolViolated"},
    {"39P02", "SrfProtocolViolated"},
    {"39P03", "EventTriggerProtocolViolated"},
    {"3B000", "SavepointException"},
    {"3B001", "InvalidSavepointSpecification"},
    {"3D000", "InvalidCatalogName"},
    {"3F000", "InvalidSchemaName"},
    {"40000", "TransactionRollback"},
    {"40001", "SerializationFailure"},
    {"40002", "TransactionIntegrityConstraintViolation"},
    {"40003", "StatementCompletionUnknown"},
    {"40P01", "DeadlockDetected"},
    {"42000", "SyntaxErrorOrAccessRuleViolation"},
    {"42501", "InsufficientPrivilege"},
    {"42601", "SyntaxError"},
    {"42602", "InvalidName"},
    {"42611", "InvalidColumnDefinition"},
    {"42622", "NameTooLong"},
    {"42701", "DuplicateColumn"},
    {"42702", "AmbiguousColumn"},
    {"42703", "UndefinedColumn"},
    {"42704", "UndefinedObject"},
    {"42710", "DuplicateObject"},
    {"42712", "DuplicateAlias"},
    {"42723", "DuplicateFunction"},
    {"42725", "AmbiguousFunction"},
    {"42803", "GroupingError"},
    {"42804", "DatatypeMismatch"},
    {"42809", "WrongObjectType"},
    {"42830", "InvalidForeignKey"},
    {"42846", "CannotCoerce"},
    {"42883", "UndefinedFunction"},
    {"428C9", "GeneratedAlways"},
    {"42939", "ReservedName"},
    {"42P01", "UndefinedTable"},
    {"42P02", "UndefinedParameter"},
    {"42P03", "DuplicateCursor"},
    {"42P04", "DuplicateDatabase"},
    {"42P05", "DuplicatePreparedStatement"},
    {"42P06", "DuplicateSchema"},
    {"42P07", "DuplicateTable"},
    {"42P08", "AmbiguousParameter"},
    {"42P09", "AmbiguousAlias"},
    {"42P10", "InvalidColumnReference"},
    {"42P11", "InvalidCursorDefinition"},
    {"42P12", "InvalidDatabaseDefinition"},
    {"42P13", "InvalidFunctionDefinition"},
    {"42P14", "InvalidPreparedStatementDefinition"},
    {"42P15", "InvalidSchemaDefinition"},
    {"42P16", "InvalidTableDefinition"},
    {"42P17", "InvalidObjectDefinition"},
    {"42P18", "IndeterminateDatatype"},
    {"42P19", "InvalidRecursion"},
    {"42P20", "WindowingError"},
    {"42P21", "CollationMismatch"},
    {"42P22", "IndeterminateCollation"},
    {"44000", "WithCheckOptionViolation"},
    {"53000", "InsufficientResources"},
    {"53100", "DiskFull"},
    {"53200", "OutOfMemory"},
    {"53300", "TooManyConnections"},
    {"53400", "ConfigurationLimitExceeded"},
    {"54000", "ProgramLimitExceeded"},
    {"54001", "StatementTooComplex"},
    {"54011", "TooManyColumns"},
    {"54023", "TooManyArguments"},
    {"55000", "ObjectNotInPrerequisiteState"},
    {"55006", "ObjectInUse"},
    {"55P02", "CantChangeRuntimeParam"},
    {"55P03", "LockNotAvailable"},
    {"55P04", "UnsafeNewEnumValueUsage"},
    {"57000", "OperatorIntervention"},
    {"57014", "QueryCanceled"},
    {"57P01", "AdminShutdown"},
    {"57P02", "CrashShutdown"},
    {"57P03", "CannotConnectNow"},
    {"57P04", "DatabaseDropped"},
    {"57P05", "IdleSessionTimeout"},
    {"58000", "SystemError"},
    {"58030", "IoError"},
    {"58P01", "UndefinedFile"},
    {"58P02", "DuplicateFile"},
    {"58P03", "FileNameTooLong"},
    {"72000", "SnapshotTooOld"},
    {"F0000", "ConfigFileError"},
    {"F0001", "LockFileExists"},
    {"HV000", "FdwError"},
    {"HV001", "FdwOutOfMemory"},
    {"HV002", "FdwDynamicParameterValueNeeded"},
    {"HV004", "FdwInvalidDataType"},
    {"HV005", "FdwColumnNameNotFound"},
    {"HV006", "FdwInvalidDataTypeDescriptors"},
    {"HV007", "FdwInvalidColumnName"},
    {"HV008", "FdwInvalidColumnNumber"},
    {"HV009", "FdwInvalidUseOfNullPointer"},
    {"HV00A", "FdwInvalidStringFormat"},
    {"HV00B", "FdwInvalidHandle"},
    {"HV00C", "FdwInvalidOptionIndex"},
    {"HV00D", "FdwInvalidOptionName"},
    {"HV00J", "FdwOptionNameNotFound"},
    {"HV00K", "FdwReplyHandle"},
    {"HV00L", "FdwUnableToCreateExecution"},
    {"HV00M", "FdwUnableToCreateReply"},
    {"HV00N", "FdwUnableToEstablishConnection"},
    {"HV00P", "FdwNoSchemas"},
    {"HV00Q", "FdwSchemaNotFound"},
    {"HV00R", "FdwTableNotFound"},
    {"HV010", "FdwFunctionSequenceError"},
    {"HV014", "FdwTooManyHandles"},
    {"HV021", "FdwInconsistentDescriptorInformation"},
    {"HV024", "FdwInvalidAttributeValue"},
    {"HV090", "FdwInvalidStringLengthOrBufferLength"},
    {"HV091", "FdwInvalidDescriptorFieldIdentifier"},
    {"P0000", "PlpgsqlError"},
    {"P0001", "RaiseException"},
    {"P0002", "NoDataFound"},
    {"P0003", "TooManyRows"},
    {"P0004", "AssertFailure"},
    {"XX000", "InternalError_"},
    {"XX001", "DataCorrupted"},
    {"XX002", "IndexCorrupted"},
};

PyObject* sqlstate_errors;  // the public dict; owned by us and the module

// DB-API's class for the class of a SQLSTATE, its first two characters.
PyObject* base_of(std::string_view code) {
  const Exceptions& e = exceptions;
  const std::string_view group = code.substr(0, 2);
  const auto one_of = [group](std::initializer_list<std::string_view> groups) {
    for (const std::string_view candidate : groups) {
      if (candidate == group) return true;
    }
    return false;
  };
  if (code == "57014") return e.query_canceled;
  if (group == "0A") return e.not_supported_error;
  if (group == "22") return e.data_error;
  if (group == "23") return e.integrity_error;
  if (group == "40") return e.transaction_rollback;
  if (one_of({"20", "21", "3D", "3F", "42", "44"})) return e.programming_error;
  if (one_of({"24", "25", "2B", "2D", "2F", "38", "39", "3B"})) return e.internal_error;
  if (one_of({"08", "26", "27", "28", "34"})) return e.operational_error;
  switch (group.empty() ? 0 : group[0]) {
    case '5':
    case 'H':
      return e.operational_error;
    case 'F':
    case 'P':
    case 'X':
      return e.internal_error;
    default:
      return e.database_error;
  }
}

}  // namespace

bool add_sqlstates(PyObject* module) {
  sqlstate_errors = PyDict_New();
  if (sqlstate_errors == nullptr) return false;
  for (const SqlState& state : kSqlStates) {
    const std::string name = std::string("psycoev.errors.") + state.class_name;
    const Ref type(PyErr_NewException(name.c_str(), base_of(state.code), nullptr));
    if (!type || PyDict_SetItemString(sqlstate_errors, state.code, type.get()) < 0) return false;
  }
  return PyModule_AddObjectRef(module, "sqlstate_errors", sqlstate_errors) == 0;
}

PyObject* exception_of_sqlstate(const char* sqlstate) {
  const Ref key(
      PyUnicode_DecodeLatin1(sqlstate, static_cast<Py_ssize_t>(std::strlen(sqlstate)), nullptr));
  PyObject* type = key ? PyDict_GetItemWithError(sqlstate_errors, key.get()) : nullptr;
  if (type != nullptr) return type;
  PyErr_Clear();
  return base_of(sqlstate);
}

}  // namespace psycoev::values
